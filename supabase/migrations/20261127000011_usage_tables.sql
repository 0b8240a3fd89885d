-- Portable, as the first of these files is. A row holds what one process has counted for one owner on one day (UTC,
-- 2026-11-27); the rows of a day are added up. Nothing of what was said, and nothing that ends with a conversation.

create table if not exists usage (
  id text primary key,
  owner text not null,
  day text not null,
  turns bigint not null check (turns >= 0),
  characters bigint not null check (characters >= 0),
  audio_ms bigint not null check (audio_ms >= 0),
  prompt_tokens bigint not null check (prompt_tokens >= 0),
  reply_tokens bigint not null check (reply_tokens >= 0)
);
create index if not exists usage_by_owner on usage (owner, day);
