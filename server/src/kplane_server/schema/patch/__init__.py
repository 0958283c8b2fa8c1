# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The three patch formats that change a document: JSON Patch, JSON Merge Patch, strategic merge patch.

Each ``apply`` leaves its arguments alone, and its result shares nothing with them, so a patch can be applied again.
"""
