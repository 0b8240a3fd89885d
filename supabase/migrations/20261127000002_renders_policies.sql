-- Only Postgres, as the first ones: users read what is theirs, the server does everything.

alter table renders enable row level security;
alter table render_scripts enable row level security;
alter table render_lines enable row level security;

revoke all on renders, render_scripts, render_lines from anon, authenticated;
grant select on renders, render_scripts, render_lines to authenticated;
grant select, insert, update, delete on renders, render_scripts, render_lines to service_role;

drop policy if exists read_own on renders;
create policy read_own on renders for select to authenticated using (owner = (select auth.uid())::text);
drop policy if exists read_own on render_scripts;
create policy read_own on render_scripts for select to authenticated using (owner = (select auth.uid())::text);
drop policy if exists read_own on render_lines;
create policy read_own on render_lines for select to authenticated using (owner = (select auth.uid())::text);
