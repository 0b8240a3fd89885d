-- Only Postgres, as Supabase has it. Running it twice changes nothing.

alter table usage enable row level security;

revoke all on usage from anon, authenticated;
grant select on usage to authenticated;
grant select, insert, update, delete on usage to service_role;

drop policy if exists read_own on usage;
create policy read_own on usage for select to authenticated using (owner = (select auth.uid())::text);
