/**
 * Who takes part in this talk: the session's cast as the server says it, and how it is changed. News travels up as a DOM
 * event, cast_changed. Knows nothing of the page. What is wished here counts when the server says so.
 */
import { castMessage } from '../wire/protocol.js';
import { isConnected, send } from '../wire/websocket.js';
import { changeSetting, settings } from '../page/settings.js';
import { isKnown, personOf } from './people.js';
import { isCast, sameCast, withMember, withMoved, withMuted, withOnly, withoutMember } from './casting.js';

let cast = null;
let called = '';
let isRestoring = false;

/** [{id, name, colour, is_muted}] in their order. */
export function members() {
  return cast?.members ?? [];
}

export function castOrder() {
  return cast?.order ?? 'talk';
}

export function castAnswers() {
  return cast?.answers ?? 0;
}

export function isMember(id) {
  return members().some((member) => member.id === id);
}

/** What the server says: of a new session what it begins with, and then the one that was wished for last is asked for. */
export function hearCast(told, isNewSession = false) {
  if (!isCast(told)) return;
  cast = { members: told.members, order: told.order, answers: told.answers };
  if (called && !isMember(called)) called = '';
  isRestoring = isNewSession && settings.cast !== null && !sameCast(settings.cast, cast);
  if (isRestoring) ask(settings.cast);
  announce();
}

/** The cast that was wished for cannot be had (any more). True when nobody has just asked for it: it was of last time. */
export function hearCastRefused() {
  const wasRestoring = isRestoring;
  isRestoring = false;
  changeSetting('cast', null);
  announce();
  return wasRestoring;
}

/**
 * Who answers the next message, whoever's turn it would be: id, or empty where the server decides. It does so, too, where
 * somebody was deleted who is still in this talk.
 */
export function calledSpeaker() {
  const id = wishedSpeaker();
  return isKnown() && !personOf(id) ? '' : id;
}

function wishedSpeaker() {
  if (called) return called;
  if (members().length === 1) return members()[0].id;
  return castOrder() === 'chosen' ? chosenMember() : '';
}

function chosenMember() {
  const able = members().filter((member) => !member.is_muted);
  return (able.find(({ id }) => id === settings.chosen) ?? able[0])?.id ?? '';
}

/** Where somebody is chosen they stay it; else they answer once. */
export function callMember(id) {
  changeSetting('chosen', id);
  if (members().length > 1) called = id;
  announce();
}

/** The message is on its way. */
export function forgetCalled() {
  called = '';
  announce();
}

/** Alone with that one. */
export function talkOnlyWith(id) {
  called = '';
  changeSetting('chosen', id);
  wish(withOnly(cast, id));
}

export function addMember(id) {
  wish(withMember(cast, id));
}

export function removeMember(id) {
  wish(withoutMember(cast, id));
}

export function muteMember(id, isMuted) {
  wish(withMuted(cast, id, isMuted));
}

/** by: -1 up, 1 down. */
export function moveMember(id, by) {
  wish(withMoved(cast, id, by));
}

export function setCastOrder(order) {
  wish({ ...withMoved(cast, '', 0), order });
}

export function setCastAnswers(answers) {
  wish({ ...withMoved(cast, '', 0), answers });
}

function wish(wanted) {
  changeSetting('cast', wanted);
  ask(wanted);
}

function ask(wanted) {
  if (isConnected()) send(castMessage(wanted));
}

function announce() {
  document.dispatchEvent(new CustomEvent('cast_changed'));
}
