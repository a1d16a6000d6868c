-- cargo newcol: users.shout, stage expand
PRAGMA busy_timeout = 5000;

-- Adds `users.shout`, NULL for every row there is.
-- database write lock: other writers wait, briefly, whatever the size of the table.
ALTER TABLE "users" ADD COLUMN "shout" TEXT;

-- Computes `users.shout` for rows of programs that do not know it.
-- database write lock: other writers wait, briefly, whatever the size of the table.
CREATE TRIGGER "newcol_fill_users_shout" AFTER INSERT ON "users" WHEN NEW."shout" IS NULL
BEGIN
  UPDATE "users" SET "shout" = (upper(name)) WHERE rowid = NEW.rowid;
END;
