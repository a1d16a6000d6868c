-- cargo newcol: users.shout, stage contract
PRAGMA busy_timeout = 5000;

-- Drops what filled `users.shout` for old programs.
-- database write lock: other writers wait, briefly, whatever the size of the table.
DROP TRIGGER "newcol_fill_users_shout";
