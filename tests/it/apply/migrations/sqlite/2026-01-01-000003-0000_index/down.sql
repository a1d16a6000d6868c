DROP INDEX log_m;
