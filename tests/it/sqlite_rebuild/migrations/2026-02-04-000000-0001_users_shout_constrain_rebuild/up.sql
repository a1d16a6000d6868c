-- cargo newcol: users.shout, stage constrain
PRAGMA busy_timeout = 5000;

-- Rebuilds `users`, so that `users.shout` becomes NOT NULL, without a default.
-- database write lock: other writers wait, for as long as the table is large; the table is written anew.
PRAGMA foreign_keys = OFF;
PRAGMA legacy_alter_table = ON;
BEGIN IMMEDIATE;
CREATE TEMP TABLE "newcol_guard" (
  foreign_keys INTEGER CONSTRAINT "foreign keys are still on" CHECK (foreign_keys = 0),
  missing INTEGER CONSTRAINT "rows went missing" CHECK (missing = 0),
  orphans INTEGER CONSTRAINT "children lost their parent" CHECK (orphans <= 0),
  known INTEGER, seq INTEGER);
INSERT INTO temp."newcol_guard" (foreign_keys) SELECT foreign_keys FROM pragma_foreign_keys;
INSERT INTO temp."newcol_guard" (known) SELECT count(*) FROM pragma_foreign_key_check;
CREATE TABLE "newcol_rebuilt_users" (id INTEGER PRIMARY KEY NOT NULL, name TEXT NOT NULL,
        boss_id INTEGER REFERENCES users (id) ON DELETE CASCADE, "shout" TEXT NOT NULL);
INSERT INTO "newcol_rebuilt_users" ("id", "name", "boss_id", "shout") SELECT "id", "name", "boss_id", "shout" FROM "users";
INSERT INTO temp."newcol_guard" (missing) SELECT (SELECT count(*) FROM "users") - (SELECT count(*) FROM "newcol_rebuilt_users");
DROP TABLE "users";
ALTER TABLE "newcol_rebuilt_users" RENAME TO "users";
CREATE TRIGGER "newcol_fill_users_shout" AFTER INSERT ON "users" WHEN NEW."shout" IS NULL
BEGIN
  UPDATE "users" SET "shout" = (upper(name)) WHERE rowid = NEW.rowid;
END;
INSERT INTO temp."newcol_guard" (orphans) SELECT (SELECT count(*) FROM pragma_foreign_key_check) - (SELECT max(known) FROM temp."newcol_guard");
DROP TABLE temp."newcol_guard";
COMMIT;
PRAGMA legacy_alter_table = OFF;
PRAGMA foreign_keys = ON;
