-- Portable: SQLite and Postgres run this file as it is. No function as a default, ids and times come from the app.
-- Times are milliseconds since 1970. Running it twice changes nothing.

create table if not exists conversations (
  id text primary key,
  owner text not null,
  title text not null,
  character text not null,
  turns bigint not null check (turns >= 0),
  created_at bigint not null,
  updated_at bigint not null
);
create index if not exists conversations_by_owner on conversations (owner, updated_at);

-- text is what the reply was, heard what a listener heard of it: the same, unless it was cut.
-- spoken is JSON: [[sentence, milliseconds], ...], as far as it was heard.
create table if not exists messages (
  id text primary key,
  conversation_id text not null references conversations (id) on delete cascade,
  owner text not null,
  turn bigint not null check (turn >= 0),
  place bigint not null check (place >= 0),
  role text not null check (role in ('user', 'assistant')),
  character text not null,
  text text not null,
  heard text not null,
  spoken text not null,
  said_at bigint not null,
  unique (conversation_id, turn, place)
);
create index if not exists messages_by_owner on messages (owner);

-- id is owner:name of the character; voice is JSON, as contract/voice.py has it.
create table if not exists characters (
  id text primary key,
  owner text not null,
  name text not null,
  persona text not null,
  greeting text not null,
  colour text not null,
  voice text not null,
  created_at bigint not null,
  updated_at bigint not null,
  unique (owner, name)
);
create index if not exists characters_by_owner on characters (owner, created_at);
