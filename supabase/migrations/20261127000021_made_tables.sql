-- Portable, as the first of these files is. What was spoken for an owner outside of talks, a row as in usage for each
-- kind of it. pieces: lines of renders, or texts that somebody had read aloud.

create table if not exists made (
  id text primary key,
  owner text not null,
  day text not null,
  kind text not null check (kind in ('render', 'speech')),
  pieces bigint not null check (pieces >= 0),
  characters bigint not null check (characters >= 0),
  audio_ms bigint not null check (audio_ms >= 0)
);
create index if not exists made_by_owner on made (owner, day);
