/**
 * Puts a menu under the button that opens it, inside the window. Knows nothing of what is in it.
 */
const GAP_PX = 4;
const EDGE_PX = 8;

export function placeUnder(menu, opener) {
  menu.addEventListener('toggle', ({ newState }) => { if (newState === 'open') place(menu, opener); });
}

function place(menu, opener) {
  const box = opener.getBoundingClientRect();
  const left = Math.min(box.left, innerWidth - menu.offsetWidth - EDGE_PX);
  const top = Math.min(box.bottom + GAP_PX, innerHeight - menu.offsetHeight - EDGE_PX);
  menu.style.inset = `${Math.max(EDGE_PX, top)}px auto auto ${Math.max(EDGE_PX, left)}px`;
}
