-- Portable, as the first one. Renders: what is asked for, and each line that was made or could not be.

-- settings is JSON, as api/render/order.py has it; revision says that the script has changed.
create table if not exists renders (
  id text primary key,
  owner text not null,
  title text not null,
  settings text not null,
  lines bigint not null check (lines > 0),
  state text not null check (state in ('new', 'rendering', 'done', 'failed', 'cancelled')),
  revision bigint not null,
  created_at bigint not null,
  updated_at bigint not null
);
create index if not exists renders_by_owner on renders (owner, created_at);
create index if not exists renders_by_state on renders (state, created_at);

-- A table of its own, so that a list of renders need not read them. script is JSON: the lines, in order.
create table if not exists render_scripts (
  id text primary key references renders (id) on delete cascade,
  owner text not null,
  revision bigint not null,
  script text not null
);
create index if not exists render_scripts_by_owner on render_scripts (owner);

-- A line has no row until it is made, or cannot be. content says of which words and voice: a row of others is void.
-- sound names the files of its pieces, each the SHA-256 of what is in it; place grows with each line that ends, and is what listeners go on from.
create table if not exists render_lines (
  id text primary key,
  render_id text not null references renders (id) on delete cascade,
  owner text not null,
  number bigint not null check (number >= 0),
  content text not null,
  state text not null check (state in ('done', 'failed')),
  code text not null,
  reason text not null,
  sound text not null,
  duration_ms bigint not null,
  cached bigint not null,
  worker text not null,
  peaks text not null,
  place bigint not null,
  made_at bigint not null,
  unique (render_id, number)
);
create index if not exists render_lines_by_owner on render_lines (owner);
create index if not exists render_lines_by_place on render_lines (render_id, place);
