# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store on disk. All SQL of the server is in this package and in ``storage.migrations``."""

from kplane_server.storage.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
