# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Server-side apply: who owns which field (structured merge and diff).

``fieldset`` is sets of fields, ``atoms`` a schema as merging sees it, ``typed`` the walks over documents, ``managers`` the rules.
Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/ and KEP-555.
"""
