-- Only Postgres, as Supabase has it. Running it twice changes nothing.

alter table clips enable row level security;

revoke all on clips from anon, authenticated;
grant select on clips to authenticated;
grant select, insert, update, delete on clips to service_role;

drop policy if exists read_own on clips;
create policy read_own on clips for select to authenticated using (owner = (select auth.uid())::text);
