-- Only Postgres, as Supabase has it: where finished sound files are kept. Running it twice changes nothing.
-- Private: the server puts files there, and gives out addresses that work for a while. A user who has signed in may
-- read what is theirs, below a folder named after them, and nobody may write past the server.

insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types)
values ('audio', 'audio', false, 536870912, array[
  'audio/wav', 'audio/mpeg', 'audio/flac', 'audio/ogg', 'audio/pcm', 'text/vtt', 'text/plain', 'application/x-subrip'])
on conflict (id) do update set
  public = false, file_size_limit = excluded.file_size_limit, allowed_mime_types = excluded.allowed_mime_types;

drop policy if exists read_own_audio on storage.objects;
create policy read_own_audio on storage.objects for select to authenticated
  using (bucket_id = 'audio' and (storage.foldername(name))[1] = (select auth.uid())::text);
