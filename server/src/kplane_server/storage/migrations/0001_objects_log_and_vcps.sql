-- Copyright (c) 2026, kplane.core contributors
-- GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later

-- The one row that every transaction rewrites. objects: rows that hold a document; log_floor: every event above it is in the log;
-- run: how the last run ended (see storage.sqlite.store).
CREATE TABLE state (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  revision INTEGER NOT NULL,
  log_floor INTEGER NOT NULL,
  log_rows INTEGER NOT NULL,
  objects INTEGER NOT NULL,
  run INTEGER NOT NULL
);
INSERT INTO state VALUES (1, 0, 0, 0, 0, 1);

-- AUTOINCREMENT: the number of an incarnation is never used again.
CREATE TABLE vcps (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  uid TEXT NOT NULL,
  created INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  state TEXT NOT NULL,
  key_generation INTEGER NOT NULL
);
CREATE UNIQUE INDEX vcps_active ON vcps (name) WHERE state = 'active';
CREATE INDEX vcps_not_active ON vcps (state) WHERE state <> 'active';

-- What is there now. A row without a value is a whiteout: it hides the layer's object of that key.
-- A rowid table, because documents are far larger than what suits a clustered key.
CREATE TABLE objects (
  id INTEGER PRIMARY KEY,
  vcp INTEGER NOT NULL,
  resource TEXT NOT NULL,
  namespace TEXT NOT NULL,
  name TEXT NOT NULL,
  revision INTEGER NOT NULL,
  terminating INTEGER NOT NULL,
  owners TEXT,
  value BLOB
);
CREATE UNIQUE INDEX objects_key ON objects (vcp, resource, namespace, name);
CREATE INDEX objects_whiteout ON objects (vcp, resource, namespace) WHERE value IS NULL;
CREATE INDEX objects_terminating ON objects (vcp) WHERE terminating = 1;

-- objects.owners turned round.
CREATE TABLE owners (
  vcp INTEGER NOT NULL,
  owner TEXT NOT NULL,
  resource TEXT NOT NULL,
  namespace TEXT NOT NULL,
  name TEXT NOT NULL,
  PRIMARY KEY (vcp, owner, resource, namespace, name)
) WITHOUT ROWID;

-- Owners that are gone and whose dependents have not been seen to yet.
CREATE TABLE garbage (
  vcp INTEGER NOT NULL,
  owner TEXT NOT NULL,
  PRIMARY KEY (vcp, owner)
) WITHOUT ROWID;

-- What happened lately. A row holds what it replaced; what it wrote is in the next row of the same key, or in objects.
-- Only a deletion keeps its own document as well.
CREATE TABLE log (
  revision INTEGER PRIMARY KEY,
  vcp INTEGER NOT NULL,
  resource TEXT NOT NULL,
  namespace TEXT NOT NULL,
  name TEXT NOT NULL,
  type TEXT NOT NULL,
  previous_revision INTEGER NOT NULL,
  previous BLOB,
  value BLOB
);
CREATE INDEX log_vcp ON log (vcp);

-- When a revision was the latest: what the age of the log is measured by.
CREATE TABLE marks (
  revision INTEGER PRIMARY KEY,
  time INTEGER NOT NULL
);
