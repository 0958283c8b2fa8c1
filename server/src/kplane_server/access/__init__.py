# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""May this request do that? Who makes it (tokens), what it may do (RBAC), and the reviews that answer such questions.

Everything here belongs to exactly one control plane: no cache, key or identity is shared between two of them.
"""
