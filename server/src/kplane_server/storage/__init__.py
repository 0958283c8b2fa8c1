# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of documents in time: one revision counter, one writer, many watchers. Bytes in, bytes out; no JSON is parsed here."""
