-- Portable, as the first of these files is. Who takes part in a conversation, and how it is set: playbill is JSON, as
-- api/ensemble/playbill.py has it. A table of its own, because a column cannot be added twice in words of both.

create table if not exists playbills (
  id text primary key references conversations (id) on delete cascade,
  owner text not null,
  playbill text not null
);
create index if not exists playbills_by_owner on playbills (owner);
