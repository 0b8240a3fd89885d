/**
 * A file that is dropped anywhere on the script page. Knows nothing of what is in it.
 */

/** onFile(file): one, however many are dropped. */
export function takeDrops(onFile) {
  document.addEventListener('dragover', (event) => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    document.body.classList.add('drop-here');
  });
  document.addEventListener('dragleave', ({ relatedTarget }) => { if (!relatedTarget) document.body.classList.remove('drop-here'); });
  document.addEventListener('drop', (event) => {
    document.body.classList.remove('drop-here');
    const [file] = event.dataTransfer?.files ?? [];
    if (!file) return;
    event.preventDefault();
    onFile(file);
  });
}
