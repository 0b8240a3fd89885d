-- Only Postgres, as Supabase has it. Running it twice changes nothing.

alter table playbills enable row level security;

revoke all on playbills from anon, authenticated;
grant select on playbills to authenticated;
grant select, insert, update, delete on playbills to service_role;

drop policy if exists read_own on playbills;
create policy read_own on playbills for select to authenticated using (owner = (select auth.uid())::text);
