CREATE INDEX log_m ON log (m);
