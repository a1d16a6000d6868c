-- cargo newcol: users.shout, stage constrain
PRAGMA busy_timeout = 5000;

-- Nothing: filled values stay.
SELECT 1;
