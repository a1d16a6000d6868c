-- cargo newcol: users.shout, stage expand
PRAGMA busy_timeout = 5000;

-- Drops the trigger.
-- Drops the column and all its values.
DROP TRIGGER "newcol_fill_users_shout";
ALTER TABLE "users" DROP COLUMN "shout";
