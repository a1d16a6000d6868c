-- cargo newcol: users.shout, stage contract
PRAGMA busy_timeout = 5000;

-- Creates the trigger again.
CREATE TRIGGER "newcol_fill_users_shout" AFTER INSERT ON "users" WHEN NEW."shout" IS NULL
BEGIN
  UPDATE "users" SET "shout" = (upper(name)) WHERE rowid = NEW.rowid;
END;
