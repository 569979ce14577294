/**
 * The unit of an entry of the journal, with the digest of its content. It is apart from the bytes of
 * entries, which the log reads without the codec of values. Pure.
 */
import { sha256Latin1 } from '../../bytes/sha256.ts'
import { canonicalBytes } from '../values/canonical-form.ts'
import type { EventPayload } from '../values/event-payload.ts'
import type { EntryUnit } from './command.ts'
import {
  type EntryContent,
  entryDigestBytes,
  type TypedPayload,
  taggedBody,
} from './journal-entry.ts'

/**
 * The unit of an entry. It shares no memory with `content`, whose payloads were checked.
 * @throws KeelsonError `INVALID_ARGUMENT` for an id or a type of another length, with a NUL, or
 * ill-formed
 */
export const entryUnit = (content: EntryContent): EntryUnit => {
  const bytes = taggedBody(content)
  const canonical = canonicalContent(content)
  const sum = sha256Latin1(canonical === content ? bytes : taggedBody(canonical))
  bytes.write(sum, 0, entryDigestBytes, 'latin1')
  const body = bytes.subarray(entryDigestBytes)
  return { kind: 'entry', id: content.id, digest: bytes.subarray(0, entryDigestBytes), body }
}

/** The content with its payloads in canonical form; this very content if they have it. */
const canonicalContent = (content: EntryContent): EntryContent => {
  let isCanonical = true
  const canonical = (payload: EventPayload): EventPayload => {
    const bytes = canonicalBytes(payload, 1)
    if (bytes !== payload) isCanonical = false
    return bytes
  }
  const each = ({ type, payload }: TypedPayload) => ({ type, payload: canonical(payload) })
  const { id, type } = content
  const [command, response] = [canonical(content.command), canonical(content.response)]
  const [events, effects] = [content.events.map(each), content.effects.map(each)]
  return isCanonical ? content : { id, type, command, response, events, effects }
}
