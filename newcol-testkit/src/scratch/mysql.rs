//! MySQL and MariaDB: their programs, their settings, their databases.

use camino::{Utf8Path, Utf8PathBuf};
use newcol_core::backend::Product;

use super::{admin, error::ScratchError, lease, server::Server, want::Sharing};

/// The user of our own servers.
pub(super) const USER: &str = "newcol";

/// The user of a server in a container, whose host is any but `localhost`.
#[cfg(feature = "docker")]
pub(super) const ROOT: &str = "root";

/// The settings of our own servers, wherever they run.
pub(super) const SETTINGS: &[&str] = &[
    "--skip-name-resolve",
    "--skip-log-bin",
    // Written at every commit but synced once a second: a crash of the server loses nothing.
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-buffer-pool-size=64M",
    "--performance-schema=OFF",
    "--max-connections=300",
    "--character-set-server=utf8mb4",
    // Both products' strictest common mode, so that a bad value is an error.
    "--sql-mode=STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE,NO_ENGINE_SUBSTITUTION",
    "--default-time-zone=+00:00",
];

/// Creates an empty database.
pub(super) fn create(server: &Server, name: &str) -> Result<(), ScratchError> {
    server.exec("create", &[&format!("CREATE DATABASE `{name}` CHARACTER SET utf8mb4")])
}

/// Drops a database, giving up after ten seconds where a forgotten session locks a table.
pub(super) fn drop_database(server: &Server, name: &str) -> Result<(), ScratchError> {
    let drop = format!("DROP DATABASE IF EXISTS `{name}`");
    server.exec("drop", &["SET SESSION lock_wait_timeout = 10", &drop])
}

/// Lists the databases made on this machine.
pub(super) fn list(server: &Server) -> Result<Vec<String>, ScratchError> {
    let sql = format!(
        "SELECT CAST(schema_name AS CHAR) FROM information_schema.schemata \
         WHERE schema_name LIKE '{}' ORDER BY 1",
        lease::database_pattern()
    );
    let rows = admin::query(server.admin_url(), &sql)
        .map_err(|source| ScratchError::Database { action: "list", source })?;
    Ok(rows.into_iter().flatten().flatten().collect())
}

/// Returns the command that opens a database by its URL, which the `mysql` client cannot read.
pub(super) fn client_command(url: &str) -> String {
    let rest = url.trim_start_matches("mysql://");
    let (user, host) = rest.rsplit_once('@').unwrap_or(("", rest));
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let (host, database) = host.split_once('/').unwrap_or((host, ""));
    let (host, port) = host.split_once(':').unwrap_or((host, "3306"));
    let database = database.split('?').next().unwrap_or_default();
    format!("MYSQL_PWD={password} mysql -h {host} -P {port} -u {user} {database}")
}

/// Returns the program and arguments that fill an empty data directory.
pub(super) fn init_command(
    program: &Utf8Path,
    product: Product,
    data: &Utf8Path,
) -> (Utf8PathBuf, Vec<String>) {
    if product == Product::Mysql {
        let args = ["--no-defaults", "--initialize-insecure", "--innodb-redo-log-capacity=8M"];
        let mut args = args.map(str::to_owned).to_vec();
        args.push(format!("--datadir={data}"));
        return (program.to_owned(), args);
    }
    let args = [
        "--no-defaults",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        // 25 MB to copy instead of 113.
        "--innodb-log-file-size=8M",
    ];
    let mut args = args.map(str::to_owned).to_vec();
    args.push(format!("--datadir={data}"));
    (install_script(program), args)
}

fn install_script(program: &Utf8Path) -> Utf8PathBuf {
    let near = program.parent().unwrap_or(Utf8Path::new("/"));
    for dir in [near.to_owned(), near.join("../bin"), near.join("../scripts")] {
        for name in ["mariadb-install-db", "mysql_install_db"] {
            if dir.join(name).is_file() {
                return dir.join(name);
            }
        }
    }
    Utf8PathBuf::from("mariadb-install-db")
}

/// Returns the arguments of `mariadbd` or `mysqld`.
///
/// It listens on the loopback interface too, with a password: no form of URL with a socket works
/// both for `mysqlclient` (`unix_socket=`) and for the pure-Rust driver (`socket=`, and it refuses
/// what it does not know).
pub(super) fn server_args(
    (product, sharing): (Product, Sharing),
    data: &Utf8Path,
    run: &Utf8Path,
    port: u16,
) -> Vec<String> {
    let mut args = vec![
        // Must come first.
        "--no-defaults".to_owned(),
        format!("--datadir={data}"),
        format!("--socket={run}/mysqld.sock"),
        format!("--pid-file={run}/mysqld.pid"),
        format!("--init-file={run}/init.sql"),
        // A server that starts removes the temporary tables of others from the one they share.
        format!("--tmpdir={run}"),
        format!("--port={port}"),
    ];
    args.push("--bind-address=127.0.0.1".to_owned());
    args.extend(SETTINGS.iter().map(|setting| (*setting).to_owned()));
    if sharing == Sharing::Private {
        // A hundred megabytes that a test of statistics is worth.
        args.extend(["--performance-schema=ON", "--loose-userstat=1"].map(str::to_owned));
    }
    args.push(match product {
        Product::Mysql => "--innodb-redo-log-capacity=8M".to_owned(),
        Product::Mariadb | Product::Postgres | Product::Sqlite => {
            "--innodb-log-file-size=8M".to_owned()
        }
    });
    if product == Product::Mysql {
        args.push("--mysqlx=OFF".to_owned());
    }
    args
}

/// Returns the SQL run at start: our user in, everybody without a password out.
pub(super) fn init_sql(password: &str) -> String {
    // Over TCP the host is the address, over the socket it is `localhost`.
    let ours = ["localhost", "127.0.0.1"].map(|host| {
        format!(
            "CREATE USER IF NOT EXISTS {USER}@'{host}' IDENTIFIED BY '{password}';\n\
             GRANT ALL ON *.* TO {USER}@'{host}' WITH GRANT OPTION;\n"
        )
    });
    let roots = ["localhost", "127.0.0.1", "::1"]
        .map(|host| format!("DROP USER IF EXISTS root@'{host}';\n"));
    ours.concat() + &roots.concat()
}

/// Returns the directories under which packages put their servers.
pub(super) fn usual_dirs() -> Vec<Utf8PathBuf> {
    ["/usr/sbin", "/usr/libexec", "/usr/local/sbin", "/opt/homebrew/bin", "/usr/local/bin"]
        .map(Utf8PathBuf::from)
        .to_vec()
}
