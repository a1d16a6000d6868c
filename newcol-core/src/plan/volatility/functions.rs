//! Built-in functions by how often an engine must evaluate them.
//!
//! PostgreSQL's lists are its own: `pg_proc.provolatile` of version 15, with what 16 to 18 added,
//! without functions that belong to operators, types, indexes and administration. SQLite's are
//! those with `SQLITE_DETERMINISTIC` in `pragma_function_list`; MySQL's and MariaDB's come from
//! their manuals. A name that is on no list is [`Volatility::Unknown`].

use sqlparser::ast::{Expr as Sql, Value};

use super::types::{Kind, kind};
use crate::{backend::Backend, plan::facts::Volatility};

/// Judges a function itself, apart from its arguments.
pub(super) fn judge(
    backend: Backend,
    schema: Option<&str>,
    name: &str,
    args: &[&Sql],
) -> Volatility {
    match (backend, schema) {
        (Backend::Postgres, None) => overloaded(name, args)
            .or_else(|| listed(name, &POSTGRES))
            .or_else(|| listed(name, &POSTGRES_EXTENSIONS)),
        (Backend::Postgres, Some("pg_catalog")) => {
            overloaded(name, args).or_else(|| listed(name, &POSTGRES))
        }
        (Backend::Postgres, Some("public" | "extensions")) => listed(name, &POSTGRES_EXTENSIONS),
        (Backend::Mysql, None) => mysql(name, args).or_else(|| listed(name, &MYSQL)),
        (Backend::Sqlite, None) => sqlite_time(name, args).or_else(|| listed(name, &SQLITE)),
        (Backend::Postgres | Backend::Mysql | Backend::Sqlite, Some(_)) => None,
    }
    .unwrap_or(Volatility::Unknown)
}

type Lists = [(Volatility, &'static str); 3];

fn listed(name: &str, lists: &Lists) -> Option<Volatility> {
    let on = |list: &str| list.split_ascii_whitespace().any(|listed| listed == name);
    lists.iter().find(|(_, list)| on(list)).map(|(volatility, _)| *volatility)
}

/// Judges PostgreSQL's functions whose overloads differ, by arguments.
fn overloaded(name: &str, args: &[&Sql]) -> Option<Volatility> {
    let kinds: Vec<Kind> = args.iter().map(|arg| kind(Backend::Postgres, arg)).collect();
    let stable = match (name, kinds.as_slice()) {
        ("age", [_]) => true,
        ("age", _) => false,
        ("date", [of]) => !matches!(of, Kind::Literal | Kind::Timestamp | Kind::Date),
        ("date_trunc", [_, of]) => !matches!(of, Kind::Timestamp | Kind::Interval),
        ("date_trunc", _) => true,
        ("date_part" | "extract", [_, of]) => matches!(of, Kind::TimestampTz | Kind::Unknown),
        ("length", [_]) => false,
        ("length", _) => true,
        ("to_timestamp", [_]) => false,
        ("to_timestamp", _) => true,
        ("quote_literal" | "quote_nullable", [of]) => !matches!(of, Kind::Text | Kind::Literal),
        ("timezone", [_, of]) => *of == Kind::TimeTz,
        ("date_add" | "date_subtract", [_, _, _]) => false,
        (
            "to_tsvector"
            | "to_tsquery"
            | "plainto_tsquery"
            | "phraseto_tsquery"
            | "websearch_to_tsquery",
            args,
        ) => args.len() < 2,
        ("json_to_tsvector" | "jsonb_to_tsvector", args) => args.len() < 3,
        ("ts_headline", args) => args.len() < 4,
        ("ts_rewrite", [_, _]) => return Some(Volatility::Volatile),
        ("ts_rewrite", _) => false,
        _ => return None,
    };
    Some(if stable { Volatility::Stable } else { Volatility::Immutable })
}

/// Judges MySQL's functions that read the clock or the session only with some arguments.
fn mysql(name: &str, args: &[&Sql]) -> Option<Volatility> {
    match (name, args) {
        // Of a time alone it takes today's date.
        ("timestamp", _) => Some(Volatility::Stable),
        ("unix_timestamp", _) => Some(Volatility::Stable),
        ("default" | "values", _) => Some(Volatility::Unknown),
        _ => None,
    }
}

/// Judges SQLite's date functions: they read the clock when asked for `now` or for nothing, and the
/// time zone when asked for local time.
fn sqlite_time(name: &str, args: &[&Sql]) -> Option<Volatility> {
    let first = match name {
        "date" | "time" | "datetime" | "julianday" | "unixepoch" => 0,
        "strftime" => 1,
        "timediff" => {
            let now = args.iter().any(|arg| says(arg, &["now"]));
            return Some(if now { Volatility::Stable } else { Volatility::Immutable });
        }
        _ => return None,
    };
    let of_now =
        args.len() <= first || args.iter().any(|arg| says(arg, &["now", "localtime", "utc"]));
    Some(if of_now { Volatility::Stable } else { Volatility::Immutable })
}

fn says(arg: &Sql, words: &[&str]) -> bool {
    match arg {
        Sql::Nested(inner) => says(inner, words),
        Sql::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => {
                words.iter().any(|word| text.trim().eq_ignore_ascii_case(word))
            }
            _ => false,
        },
        // SQLite takes a double-quoted name that is no column for text.
        Sql::Identifier(name) => words.iter().any(|word| name.value.eq_ignore_ascii_case(word)),
        _ => false,
    }
}

/// `pg_catalog`, and what the grammar itself computes.
const POSTGRES: Lists = [
    (Volatility::Immutable, POSTGRES_IMMUTABLE),
    (Volatility::Stable, POSTGRES_STABLE),
    (Volatility::Volatile, POSTGRES_VOLATILE),
];

/// One value for ever.
const POSTGRES_IMMUTABLE: &str = "
    abbrev abs acos acosd acosh area array_append array_cat array_dims array_fill array_length
    array_lower array_ndims array_position array_positions array_prepend array_remove
    array_replace array_reverse array_sort array_to_tsvector array_upper ascii asin asind asinh
    atan atan2 atan2d atand atanh bit bit_count bit_length bool box bpchar broadcast btrim
    cardinality casefold cbrt ceil ceiling center char char_length character_length chr cidr
    circle coalesce cos cosd cosh cot cotd crc32 crc32c date_bin datemultirange daterange decode
    degrees diagonal diameter div encode erf erfc exp factorial family float4 float8 floor gamma
    gcd generate_subscripts get_bit get_byte greatest hashtext hashtextextended height host
    hostmask inet_merge inet_same_family initcap int2 int4 int4multirange int4range int8
    int8multirange int8range is_normalized isempty isfinite json_array_elements
    json_array_elements_text json_array_length json_each json_each_text json_extract_path
    json_extract_path_text json_object json_object_keys json_strip_nulls json_typeof
    jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_concat jsonb_delete
    jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_insert
    jsonb_object jsonb_object_keys jsonb_path_exists jsonb_path_match jsonb_path_query
    jsonb_path_query_array jsonb_path_query_first jsonb_pretty jsonb_set jsonb_set_lax
    jsonb_strip_nulls jsonb_typeof justify_days justify_hours justify_interval lcm least left
    lgamma like line ln log log10 lower lower_inc lower_inf lpad lseg ltrim macaddr macaddr8
    macaddr8_set7bit make_date make_interval make_time make_timestamp masklen md5 min_scale mod
    multirange name netmask network normalize npoints nullif num_nonnulls num_nulls
    nummultirange numnode numrange octet_length oid overlay parse_ident path
    pg_encoding_max_length pg_lsn pg_partition_root pg_size_bytes pg_size_pretty pg_snapshot_xip
    pg_snapshot_xmax pg_snapshot_xmin pg_visible_in_snapshot pi point polygon position pow power
    querytree quote_ident radians radius range_merge regexp_count regexp_instr regexp_like
    regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table
    regexp_substr repeat replace reverse right round row rpad rtrim scale set_bit set_byte
    set_masklen setweight sha224 sha256 sha384 sha512 sign sin sind sinh slope split_part sqrt
    starts_with string_to_array string_to_table strip strpos substr substring tan tand tanh text
    to_ascii to_bin to_hex to_oct translate trim_array trim_scale trunc ts_delete ts_filter
    ts_lexize ts_rank ts_rank_cd tsmultirange tsquery_phrase tsrange tstzmultirange tstzrange
    tsvector_concat tsvector_to_array txid_snapshot_xip txid_snapshot_xmax txid_snapshot_xmin
    txid_visible_in_snapshot unicode_assigned unistr unnest upper upper_inc upper_inf
    uuid_extract_timestamp uuid_extract_version uuid_send varbit varchar width width_bucket xid
    xml_is_well_formed_content xml_is_well_formed_document xmlcomment xmlexists xmltext
    xmlvalidate xpath xpath_exists
";

/// One value per statement.
const POSTGRES_STABLE: &str = "
    array_to_json array_to_string col_description concat concat_ws convert convert_from
    convert_to current_catalog current_database current_date current_role current_schema
    current_schemas current_setting current_time current_timestamp current_user date_add
    date_subtract enum_first enum_last enum_range format format_type get_current_ts_config
    getdatabaseencoding getpgusername has_column_privilege has_schema_privilege
    has_table_privilege inet_client_addr inet_client_port inet_server_addr inet_server_port
    json_build_array json_build_object json_populate_record json_populate_recordset
    json_to_record json_to_recordset jsonb_build_array jsonb_build_object jsonb_path_exists_tz
    jsonb_path_match_tz jsonb_path_query_array_tz jsonb_path_query_first_tz jsonb_path_query_tz
    jsonb_populate_record jsonb_populate_recordset jsonb_to_record jsonb_to_recordset localtime
    localtimestamp make_timestamptz money mxid_age now obj_description oidvectortypes
    pg_backend_pid pg_char_to_encoding pg_client_encoding pg_collation_for
    pg_collation_is_visible pg_column_compression pg_column_is_updatable pg_column_size
    pg_conf_load_time pg_config pg_conversion_is_visible pg_current_snapshot pg_current_xact_id
    pg_current_xact_id_if_assigned pg_cursor pg_describe_object pg_encoding_to_char
    pg_filenode_relation pg_function_is_visible pg_get_constraintdef pg_get_expr
    pg_get_function_arg_default pg_get_function_arguments pg_get_function_identity_arguments
    pg_get_function_result pg_get_function_sqlbody pg_get_functiondef pg_get_indexdef
    pg_get_keywords pg_get_object_address pg_get_partition_constraintdef pg_get_partkeydef
    pg_get_ruledef pg_get_serial_sequence pg_get_statisticsobjdef
    pg_get_statisticsobjdef_columns pg_get_statisticsobjdef_expressions pg_get_triggerdef
    pg_get_userbyid pg_get_viewdef pg_has_role pg_index_column_has_property
    pg_index_has_property pg_input_error_info pg_input_is_valid pg_is_other_temp_schema
    pg_listening_channels pg_mcv_list_items pg_my_temp_schema pg_opclass_is_visible
    pg_operator_is_visible pg_opfamily_is_visible pg_options_to_table pg_postmaster_start_time
    pg_relation_filenode pg_relation_filepath pg_relation_is_publishable
    pg_relation_is_updatable pg_sequence_parameters pg_settings_get_flags pg_show_all_settings
    pg_statistics_obj_is_visible pg_table_is_visible pg_tablespace_databases
    pg_tablespace_location pg_timezone_abbrevs pg_timezone_names pg_trigger_depth
    pg_ts_config_is_visible pg_ts_dict_is_visible pg_ts_parser_is_visible
    pg_ts_template_is_visible pg_type_is_visible pg_typeof regclass row_to_json session_user
    shobj_description statement_timestamp system_user to_char to_date to_json to_jsonb to_number
    to_regclass to_regcollation to_regnamespace to_regoper to_regoperator to_regproc
    to_regprocedure to_regrole to_regtype transaction_timestamp txid_current
    txid_current_if_assigned txid_current_snapshot user version xml xml_is_well_formed
";

/// A value per call.
const POSTGRES_VOLATILE: &str = "
    array_sample array_shuffle clock_timestamp current_query currval gen_random_uuid lastval
    nextval pg_advisory_unlock pg_advisory_unlock_shared pg_blocking_pids pg_cancel_backend
    pg_collation_actual_version pg_current_logfile pg_current_wal_flush_lsn
    pg_current_wal_insert_lsn pg_current_wal_lsn pg_database_collation_actual_version
    pg_database_size pg_export_snapshot pg_get_multixact_members pg_indexes_size
    pg_is_in_recovery pg_is_wal_replay_paused pg_jit_available pg_last_committed_xact
    pg_last_wal_receive_lsn pg_last_wal_replay_lsn pg_last_xact_replay_timestamp pg_lock_status
    pg_ls_archive_statusdir pg_ls_dir pg_ls_logdir pg_ls_logicalmapdir pg_ls_logicalsnapdir
    pg_ls_replslotdir pg_ls_tmpdir pg_ls_waldir pg_notification_queue_usage pg_notify
    pg_partition_ancestors pg_partition_tree pg_promote pg_relation_size pg_reload_conf
    pg_safe_snapshot_blocking_pids pg_sequence_last_value pg_show_all_file_settings
    pg_show_replication_origin_status pg_sleep pg_switch_wal pg_table_size pg_tablespace_size
    pg_terminate_backend pg_total_relation_size pg_try_advisory_lock pg_try_advisory_lock_shared
    pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared pg_xact_commit_timestamp
    pg_xact_commit_timestamp_origin pg_xact_status random random_normal set_config setseed
    setval timeofday ts_stat txid_status uuidv4 uuidv7
";

/// Extensions that columns are often filled by: pgcrypto, uuid-ossp, `pg_trgm`, and the like.
const POSTGRES_EXTENSIONS: Lists = [
    (Volatility::Immutable, POSTGRES_EXTENSIONS_IMMUTABLE),
    (Volatility::Stable, POSTGRES_EXTENSIONS_STABLE),
    (Volatility::Volatile, POSTGRES_EXTENSIONS_VOLATILE),
];

/// One value for ever.
const POSTGRES_EXTENSIONS_IMMUTABLE: &str = "
    crypt difference digest dmetaphone hmac levenshtein metaphone similarity soundex
    uuid_generate_v3 uuid_generate_v5 uuid_nil uuid_ns_dns uuid_ns_oid uuid_ns_url uuid_ns_x500
";

/// One value per statement.
const POSTGRES_EXTENSIONS_STABLE: &str = "
    unaccent
";

/// A value per call.
const POSTGRES_EXTENSIONS_VOLATILE: &str = "
    gen_random_bytes gen_salt uuid_generate_v1 uuid_generate_v1mc uuid_generate_v4
";

/// MySQL and MariaDB.
const MYSQL: Lists = [
    (Volatility::Immutable, MYSQL_IMMUTABLE),
    (Volatility::Stable, MYSQL_STABLE),
    (Volatility::Volatile, MYSQL_VOLATILE),
];

/// One value for ever.
const MYSQL_IMMUTABLE: &str = "
    abs acos adddate addtime aes_decrypt aes_encrypt ascii asin atan atan2 bin bin_to_uuid
    bit_count bit_length ceil ceiling char char_length character_length charset chr coalesce
    collation compress concat concat_ws conv cos cot crc32 date date_add date_format date_sub
    datediff day dayname dayofmonth dayofweek dayofyear degrees elt exp export_set field
    find_in_set floor format from_base64 from_days greatest hex hour if ifnull inet6_aton
    inet6_ntoa inet_aton inet_ntoa insert instr interval is_ipv4 is_ipv6 is_uuid isnull
    json_array json_array_append json_array_insert json_compact json_contains json_contains_path
    json_depth json_detailed json_exists json_extract json_insert json_keys json_length
    json_loose json_merge_patch json_merge_preserve json_object json_overlaps json_pretty
    json_query json_quote json_remove json_replace json_schema_valid json_search json_set
    json_type json_unquote json_valid json_value last_day lcase least left length ln locate log
    log10 log2 lower lpad ltrim make_set makedate maketime md5 microsecond mid minute mod month
    monthname nullif nvl nvl2 oct octet_length ord period_add period_diff pi position pow power
    quarter quote radians regexp_instr regexp_like regexp_replace regexp_substr repeat replace
    reverse right round row rpad rtrim sec_to_time second sha sha1 sha2 sign sin soundex space
    sqrt str_to_date strcmp subdate substr substring substring_index subtime tan time
    time_format time_to_sec timediff timestampadd timestampdiff to_base64 to_char to_days
    to_seconds trim truncate ucase uncompress uncompressed_length unhex upper uuid_to_bin week
    weekday weekofyear weight_string year yearweek
";

/// One value per statement.
const MYSQL_STABLE: &str = "
    connection_id convert_tz curdate current_date current_role current_time current_timestamp
    current_user curtime database from_unixtime icu_version localtime localtimestamp now
    ps_current_thread_id schema session_user system_user user utc_date utc_time utc_timestamp
    version
";

/// A value per call.
const MYSQL_VOLATILE: &str = "
    benchmark found_rows get_lock is_free_lock is_used_lock last_insert_id lastval load_file
    master_pos_wait nextval rand random_bytes release_all_locks release_lock row_count setval
    sleep sys_guid sysdate uuid uuid_short uuid_v4 uuid_v7
";

/// SQLite.
const SQLITE: Lists = [
    (Volatility::Immutable, SQLITE_IMMUTABLE),
    (Volatility::Stable, SQLITE_STABLE),
    (Volatility::Volatile, SQLITE_VOLATILE),
];

/// One value for ever.
const SQLITE_IMMUTABLE: &str = "
    abs acos acosh asin asinh atan atan2 atanh ceil ceiling char coalesce concat concat_ws cos
    cosh degrees exp floor format glob hex if ifnull iif instr json json_array json_array_length
    json_error_position json_extract json_insert json_object json_patch json_pretty json_quote
    json_remove json_replace json_set json_type json_valid jsonb jsonb_array jsonb_extract
    jsonb_insert jsonb_object jsonb_patch jsonb_remove jsonb_replace jsonb_set length like
    likelihood likely ln log log10 log2 lower ltrim max min mod nullif octet_length pi pow power
    printf quote radians replace round rtrim sign sin sinh soundex sqrt substr substring tan
    tanh trim trunc typeof unhex unicode unistr unistr_quote unlikely upper zeroblob
";

/// One value per statement.
const SQLITE_STABLE: &str = "
    current_date current_time current_timestamp sqlite_compileoption_get
    sqlite_compileoption_used sqlite_source_id sqlite_version
";

/// A value per call.
const SQLITE_VOLATILE: &str = "
    changes last_insert_rowid random randomblob total_changes
";
