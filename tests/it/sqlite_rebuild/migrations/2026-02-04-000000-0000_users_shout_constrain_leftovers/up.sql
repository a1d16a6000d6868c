-- cargo newcol: users.shout, stage constrain
PRAGMA busy_timeout = 5000;

-- Fills up to 10000 rows that are still empty; more is an error that names the backfill.
-- database write lock: other writers wait, for a bounded number of rows; the table is read once.
CREATE TEMP TABLE "newcol_guard" (pending INTEGER CONSTRAINT "run cargo newcol backfill users.shout first" CHECK (pending <= 10000), empty INTEGER CONSTRAINT "users.shout is still NULL in some rows" CHECK (empty = 0));
INSERT INTO temp."newcol_guard" (pending) SELECT count(*) FROM (SELECT 1 FROM "users" WHERE "shout" IS NULL AND (upper(name)) IS NOT NULL LIMIT 10001);
UPDATE "users" SET "shout" = (upper(name)) WHERE "shout" IS NULL AND (upper(name)) IS NOT NULL;
INSERT INTO temp."newcol_guard" (empty) SELECT count(*) FROM "users" WHERE "shout" IS NULL;
DROP TABLE temp."newcol_guard";
