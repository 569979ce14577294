/**
 * PUT and POST of the Durable Streams protocol. They are apart from the handler, which knows paths and
 * acts, as these know bodies and answers of the rows.
 */
import { type RawStreams, sentBytesMax } from '../../actors/index.ts'
import { KeelsonError } from '../../errors.ts'
import {
  contentTypeOf,
  isJsonType,
  mediaTypeOf,
  offsetOf,
  type ProducerNumber,
  type StreamAnswer,
  type StreamHead,
} from '../../storage/index.ts'
import {
  closesIn,
  contentTypeIn,
  type ForkTerms,
  lastingIn,
  malformed,
  messagesIn,
  names,
  notAllowed,
  orderIn,
  producerIn,
  type StreamAct,
} from './request-terms.ts'
import { endOf, headersOf } from './stream-reads.ts'

/** An answer without a body. */
const said = (status: number, headers?: Headers | Record<string, string>): Response =>
  new Response(null, { status, ...(headers && { headers }) })

/** A body that is too large is read so far: a client that still sends does not hear the answer. */
const bodyReadMax = 4 * sentBytesMax

const tooLarge = (): KeelsonError =>
  new KeelsonError('TOO_LARGE', `a body takes at most ${sentBytesMax} bytes`, {
    details: { bytesMax: sentBytesMax },
  })

/** The bytes of a body. @throws KeelsonError `TOO_LARGE` */
export const bodyOf = async (request: Request): Promise<Uint8Array> => {
  const parts: Uint8Array[] = []
  let length = 0
  const reader = request.body?.getReader()
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true, value: undefined }
    if (done && length <= sentBytesMax) return Buffer.concat(parts)
    if (done) throw tooLarge()
    length += value.length
    if (length <= sentBytesMax) parts.push(value)
    else if (length > bodyReadMax) await reader?.cancel()
  }
}

/** The source of a fork, as the callback gave it. */
export type ForkSource = ForkTerms & { readonly owner: string }

/** Makes a stream. `owner`: of the stream, `from`: of the source of a fork. */
export const made = async (
  raw: RawStreams,
  owner: string,
  request: Request,
  from: ForkSource | undefined,
): Promise<Response> => {
  const { headers } = request
  const type = contentTypeIn(headers)
  const lasting = lastingIn(headers)
  const closes = closesIn(headers)
  const body = await bodyOf(request)
  const source = from && (await raw.head(from.owner))
  if (from && !source) return said(404)
  if (source?.terms?.isDeleted) return said(409)
  const inherited = source ? contentTypeOf(source) : 'application/octet-stream'
  const contentType = type ?? inherited
  if (source && mediaTypeOf(contentType) !== mediaTypeOf(inherited)) return said(409)
  const own = body.length === 0 ? [] : messagesIn(body, contentType)
  const point = source && from && pointOf(source, from, await raw.head(owner))
  const fork = source && point && (await raw.forked(from?.owner ?? '', source, point))
  const inherits = lasting.ttlMs === undefined && lasting.expiresAt === undefined
  const { ttlMs, expiresAt } = (inherits ? source?.terms : lasting) ?? lasting
  const answer = await raw.create(owner, {
    contentType,
    ttlMs,
    expiresAt,
    source: fork?.source,
    closes,
    messages: [...(fork?.messages ?? []), ...own],
  })
  if (answer.kind !== 'stream') return refusedMaking(answer, fork !== undefined)
  const head = await raw.head(owner)
  // It may have been deleted in the meantime.
  const answered = head ? headersOf(head) : new Headers()
  answered.set(names.offset, offsetOf({ birth: answer.birth, number: answer.next }))
  if (!answer.isRepeat) answered.set('Location', request.url)
  return said(answer.isRepeat ? 200 : 201, answered)
}

/** Where to take a fork. A fork that is there, and named no offset again, stays where it was. */
const pointOf = (
  source: StreamHead,
  { owner, place, more }: ForkSource,
  present: StreamHead | undefined,
): { readonly number: number; readonly more: number } => {
  const before = present?.terms?.source
  if (!place) return { number: before?.owner === owner ? before.number : source.next, more }
  if (place.number === 'start') return { number: source.floor, more }
  if (place.number === 'now') return { number: source.next, more }
  if (place.birth !== source.birth) throw malformed('the offset is none of the source')
  return { number: place.number, more }
}

const refusedMaking = (answer: StreamAnswer, isFork: boolean): Response => {
  if (answer.kind !== 'refusedPart') throw new Error(`a stream was made like a ${answer.kind}`)
  if (answer.why === 'none' && isFork) return said(404)
  return said(answer.why === 'forks' || answer.why === 'births' ? 429 : 409)
}

/** Appends to a stream if that is allowed, or closes it. */
export const appended = async (
  raw: RawStreams,
  owner: string,
  head: StreamHead,
  request: Request,
  acts: readonly StreamAct[],
): Promise<Response> => {
  const { headers } = request
  const closes = closesIn(headers)
  const producer = producerIn(headers)
  const order = orderIn(headers)
  const body = await bodyOf(request)
  if (body.length > 0 && !acts.includes('append')) return notAllowed(acts)
  const contentType = contentTypeOf(head)
  const messages = body.length === 0 ? [] : checkedMessages(headers, body, contentType)
  if (messages.length === 0 && (body.length > 0 || !closes)) throw malformed('the body is empty')
  const { answer, after } = await raw.append(owner, {
    messages,
    bytes: messages.reduce((sum, each) => sum + Buffer.byteLength(each), 0),
    closes,
    producer,
    to: { birth: head.birth, order, isBytes: !isJsonType(contentType) },
  })
  if (answer.kind === 'refusedPart') return refusedAppend(answer, head, producer)
  if (answer.kind !== 'stream') throw new Error(`an append was answered like a ${answer.kind}`)
  const { birth, end, isClosed, isRepeat } = answer
  const answered = new Headers({ [names.offset]: offsetOf({ birth, number: end - after }) })
  if (isClosed) answered.set(names.closed, 'true')
  if (producer && answer.producer) {
    answered.set(names.producerEpoch, `${answer.producer.epoch}`)
    answered.set(names.producerSeq, `${answer.producer.next - 1}`)
  }
  return said(producer && !isRepeat && messages.length > 0 ? 200 : 204, answered)
}

const checkedMessages = (
  headers: Headers,
  body: Uint8Array,
  contentType: string,
): readonly (string | Uint8Array)[] => {
  const given = contentTypeIn(headers)
  if (given === undefined) throw malformed('an append needs a Content-Type')
  if (mediaTypeOf(given) !== mediaTypeOf(contentType))
    throw new KeelsonError('CONFLICT', 'the stream has another content type')
  return messagesIn(body, contentType)
}

const refusedAppend = (
  answer: StreamAnswer & { kind: 'refusedPart' },
  head: StreamHead,
  producer: ProducerNumber | undefined,
): Response => {
  const { why, next, producer: known } = answer
  const end = offsetOf({ birth: head.birth, number: next })
  switch (why) {
    case 'closed':
      return said(409, { [names.closed]: 'true', [names.offset]: end })
    case 'fenced':
      return said(403, { [names.producerEpoch]: `${known?.epoch}` })
    case 'gap':
      if (known && producer && producer.epoch > known.epoch) return said(400)
      return said(409, {
        [names.producerExpected]: `${known?.next ?? 0}`,
        [names.producerReceived]: `${producer?.seq}`,
      })
    case 'none':
      return said(404)
    case 'deleted':
      return said(410)
    case 'bytes':
    case 'producers':
      return said(413)
    default:
      return said(409, { [names.offset]: endOf(head) })
  }
}
