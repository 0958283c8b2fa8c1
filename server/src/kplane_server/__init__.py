# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kplane-server: one process that serves many virtual Kubernetes control planes."""

__version__ = "0.1.0"

#: The Kubernetes version whose API this server offers.
KUBERNETES_VERSION = "v1.34.2"
