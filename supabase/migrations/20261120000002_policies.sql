-- Only Postgres, as Supabase has it: who may see what without the server. Running it twice changes nothing.
-- The server writes, with its secret key, and asks for the owner itself. A user who has signed in may read what is
-- theirs, and nobody else may do anything.

alter table conversations enable row level security;
alter table messages enable row level security;
alter table characters enable row level security;

revoke all on conversations, messages, characters from anon, authenticated;
grant select on conversations, messages, characters to authenticated;
grant select, insert, update, delete on conversations, messages, characters to service_role;

drop policy if exists read_own on conversations;
create policy read_own on conversations for select to authenticated using (owner = (select auth.uid())::text);
drop policy if exists read_own on messages;
create policy read_own on messages for select to authenticated using (owner = (select auth.uid())::text);
drop policy if exists read_own on characters;
create policy read_own on characters for select to authenticated using (owner = (select auth.uid())::text);
