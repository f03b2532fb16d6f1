"""The database's tables, schema 3. People read them too, so they say what they hold."""

# "apiu", in the file's header: shows other programs, and us, whose database it is.
APPLICATION_ID = 0x61706975
VERSION = 3

TABLES = """
CREATE TABLE accounts ( -- an organisation of an api of the config
    id INTEGER PRIMARY KEY,
    api TEXT NOT NULL,
    organisation TEXT NOT NULL,
    organisation_id TEXT NOT NULL,
    url TEXT NOT NULL,
    time_zone TEXT NOT NULL DEFAULT 'UTC', -- of its days
    terms TEXT NOT NULL DEFAULT '', -- digest of how limits and plans were read; another one's changes are no vendor's
    listing TEXT NOT NULL DEFAULT '', -- digest of how scopes were listed; what another one leaves out is not missing
    last_success REAL, -- Unix seconds, as are all times here
    failure_reason TEXT, -- why its last poll failed; NULL where it did not
    failure_message TEXT,
    failure_at REAL,
    UNIQUE (api, organisation, organisation_id, url)
);
CREATE TABLE scopes ( -- the last trusted values of each scope
    id INTEGER PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES accounts,
    name TEXT NOT NULL,
    reported INTEGER NOT NULL DEFAULT 0, -- 1 where it is known still
    absent_since REAL, -- when the first good answer in a row that lacks it came; NULL where the last one held it
    absent_answers INTEGER NOT NULL DEFAULT 0, -- how many there were
    read_at REAL,
    requests REAL,
    request_limit REAL, -- NULL is unlimited
    scope_id TEXT,
    plan TEXT,
    unit TEXT,
    rate_limit_per_minute REAL,
    rejected REAL,
    period_start REAL,
    period_end REAL,
    period_configured INTEGER, -- 1 where the config, not the vendor, names the period
    daily_source TEXT,
    trust TEXT, -- JSON: what the next count is judged by
    thinned REAL NOT NULL DEFAULT 0, -- points before are thinned
    UNIQUE (account, name)
);
CREATE INDEX scopes_thinned ON scopes (thinned);
CREATE TABLE points ( -- what polls saw: each for 48 hours, then one an hour for 35 days, then one a day for 13 months
    scope INTEGER NOT NULL REFERENCES scopes,
    at INTEGER NOT NULL,
    requests REAL NOT NULL,
    suspect INTEGER NOT NULL DEFAULT 0, -- 1 where it was held back, or turned out to be wrong
    period_start REAL, -- as the vendor answered it
    period_end REAL,
    mapping INTEGER REFERENCES mappings, -- which mapping read it; counts of different ones are not compared
    PRIMARY KEY (scope, at)
) WITHOUT ROWID;
CREATE TABLE mappings (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE -- of what gives a count its meaning: url, parameters, expressions, scale, time zone
);
CREATE TABLE days (
    scope INTEGER NOT NULL REFERENCES scopes,
    date TEXT NOT NULL, -- in the account's time zone
    requests REAL NOT NULL,
    doubt REAL NOT NULL, -- by how many requests it may be wrong
    PRIMARY KEY (scope, date)
) WITHOUT ROWID;
CREATE TABLE vendor_calls ( -- of the last 24 hours, where max_calls_per_day counts them
    api TEXT NOT NULL,
    at REAL NOT NULL,
    cost REAL NOT NULL,
    hot INTEGER NOT NULL -- 1 for organisations that run out
);
CREATE TABLE term_changes ( -- the ledger: what the vendor changed
    scope INTEGER NOT NULL REFERENCES scopes,
    at REAL NOT NULL,
    term TEXT NOT NULL, -- limit, rate_limit, plan, period
    old TEXT NOT NULL,
    new TEXT NOT NULL,
    PRIMARY KEY (scope, at, term)
) WITHOUT ROWID;
CREATE TABLE past_periods (
    scope INTEGER NOT NULL REFERENCES scopes,
    period_start REAL NOT NULL,
    period_end REAL NOT NULL,
    requests REAL NOT NULL, -- the last count seen in it
    request_limit REAL,
    seen_until REAL, -- when that was; NULL where schema 2 or older wrote it
    PRIMARY KEY (scope, period_start)
) WITHOUT ROWID;

CREATE VIEW seen AS
    SELECT api, organisation, name AS scope, datetime(at, 'unixepoch') AS utc, points.requests, suspect,
        datetime(points.period_start, 'unixepoch') AS period_start,
        datetime(points.period_end, 'unixepoch') AS period_end
    FROM points JOIN scopes ON scopes.id = scope JOIN accounts ON accounts.id = account;
CREATE VIEW daily AS
    SELECT api, organisation, name AS scope, date, days.requests, doubt <= 0.01 * days.requests AS exact
    FROM days JOIN scopes ON scopes.id = scope JOIN accounts ON accounts.id = account;
CREATE VIEW ledger AS
    SELECT api, organisation, name AS scope, datetime(at, 'unixepoch') AS utc, term, old, new
    FROM term_changes JOIN scopes ON scopes.id = scope JOIN accounts ON accounts.id = account;
CREATE VIEW periods AS
    SELECT api, organisation, name AS scope, datetime(past_periods.period_start, 'unixepoch') AS period_start,
        datetime(past_periods.period_end, 'unixepoch') AS period_end,
        past_periods.requests, past_periods.request_limit
    FROM past_periods JOIN scopes ON scopes.id = scope JOIN accounts ON accounts.id = account;
"""

# By schema, what makes the next one of it.
MIGRATIONS = {
    1: (
        "ALTER TABLE accounts ADD COLUMN listing TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE scopes ADD COLUMN absent_since REAL",
        "ALTER TABLE scopes ADD COLUMN absent_answers INTEGER NOT NULL DEFAULT 0",
    ),
    2: ("ALTER TABLE past_periods ADD COLUMN seen_until REAL",),
}
