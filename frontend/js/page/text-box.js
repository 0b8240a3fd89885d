/**
 * The box a person types in. News travels up as a DOM event, text_given {text}, within the key press or click itself,
 * so that sound may begin in it. Knows nothing of what becomes of the words.
 */
import { showToast } from './notices.js';

const form = document.getElementById('chat');
const textBox = document.getElementById('text');
const sendButton = document.getElementById('send');

let mostChars = Infinity;

/** As the server counts: letters, not their halves. */
export function limitText(chars) {
  mostChars = chars;
}

function onSubmit(event) {
  event.preventDefault();
  const text = textBox.value.trim();
  if (text) document.dispatchEvent(new CustomEvent('text_given', { detail: { text } }));
}

/** Empties the box if the text may be sent; says why if it may not. */
export function takeText(text) {
  const isTooLong = [...text].length > mostChars;
  if (isTooLong) showToast(`A message has at most ${mostChars} characters.`, { code: 'text_too_long', isError: true });
  else fill('');
  return !isTooLong;
}

/** A message that was refused is not lost. */
export function giveTextBack(text) {
  if (!textBox.value) fill(text);
}

function fill(text) {
  textBox.value = text;
  fit();
}

/** Enter that ends the choice of a word (input methods) is no sending; keyCode 229 is how Safari says so. */
function onKey(event) {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  form.requestSubmit();
}

/** Where CSS cannot grow the box by itself. */
function fit() {
  if (CSS.supports('field-sizing', 'content')) return;
  textBox.style.height = 'auto';
  textBox.style.height = `${textBox.scrollHeight}px`;
}

/** On a phone the keyboard would hide the reply. */
function onSendTouch(event) {
  if (event.pointerType === 'touch') textBox.blur();
}

form.addEventListener('submit', onSubmit);
textBox.addEventListener('keydown', onKey);
textBox.addEventListener('input', fit);
sendButton.addEventListener('pointerup', onSendTouch);
