-- Portable, as the first of these files is. A row is a recording that its owner may have voices sound like; the sound
-- itself is on the Shelf. consented_at: when the owner said that whoever speaks in it agrees. text: what is said in it.
-- A row never changes.

create table if not exists clips (
  id text primary key,
  owner text not null,
  name text not null,
  text text not null,
  duration_ms bigint not null check (duration_ms > 0),
  consented_at bigint not null,
  created_at bigint not null,
  unique (owner, name)
);
create index if not exists clips_by_owner on clips (owner, created_at);
