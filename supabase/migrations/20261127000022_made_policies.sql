-- Only Postgres, as Supabase has it. Running it twice changes nothing.

alter table made enable row level security;

revoke all on made from anon, authenticated;
grant select on made to authenticated;
grant select, insert, update, delete on made to service_role;

drop policy if exists read_own on made;
create policy read_own on made for select to authenticated using (owner = (select auth.uid())::text);
