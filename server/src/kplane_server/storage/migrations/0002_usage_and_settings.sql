-- Copyright (c) 2026, kplane.core contributors
-- GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later

-- What each VCP has written (rows that hold a document, and their sizes), kept by the transactions that write it.
ALTER TABLE vcps ADD COLUMN objects INTEGER NOT NULL DEFAULT 0;
ALTER TABLE vcps ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
UPDATE vcps SET
  objects = (SELECT COUNT(o.value) FROM objects o WHERE o.vcp = vcps.id),
  bytes = (SELECT COALESCE(SUM(LENGTH(o.value)), 0) FROM objects o WHERE o.vcp = vcps.id);

-- What its owner has settled for it, in the words of the room above; and when that room wants to look at it again (seconds since the epoch).
ALTER TABLE vcps ADD COLUMN settings TEXT NOT NULL DEFAULT '';
ALTER TABLE vcps ADD COLUMN due INTEGER;
CREATE INDEX vcps_due ON vcps (due) WHERE due IS NOT NULL;
