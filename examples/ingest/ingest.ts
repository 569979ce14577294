/**
 * Readings of devices, and the alarms that follow from them: a device that is too hot, and one that
 * is silent. Each alarm calls somebody once, and so does its end.
 */
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { type App, call, type DurableServer, entity, noReply, reply, supervisor } from 'keelson'
import { flow, flows, queue } from 'keelson/flow'

export type Reading = { readonly celsius: number }
export type Status = 'ok' | 'hot' | 'silent'
export type Device = { readonly status: Status; readonly celsius?: number; readonly count: number }
export type Notice = { readonly device: string; readonly status: Status; readonly celsius?: number }

export type Messages = {
  calls: { read: (reading: Reading) => Status }
  alarms: { silent: () => void }
}

/** Calls somebody. Asked again under the same key, it calls nobody again. */
export type Notify = (notice: Notice, key: string, signal: AbortSignal) => Promise<void>

export const noticesTo = (notify: Notify) =>
  queue('notices', (notice: Notice, { key, signal }) => notify(notice, key, signal), {
    concurrency: 4,
    timeout: '10s',
    retry: { max: 20 },
  })

/** So many readings of a device are kept. */
export const keptReadings = 100

/** Readings have numbers: two may come in one millisecond. */
const readingKey = (number: number): string => `reading/${String(number).padStart(12, '0')}`

/** Hot from 80 on, and well again below 75: a reading that wavers between them calls nobody. */
const statusOf = (before: Status, celsius: number): Status =>
  celsius >= 80 || (before === 'hot' && celsius >= 75) ? 'hot' : 'ok'

/** The kind of devices. One is silent `silentMs` after its last reading. */
export const devicesOf = (notices: ReturnType<typeof noticesTo>, silentMs: number) => {
  const device: DurableServer<Messages, Device, { readonly status: Status }> = {
    init: () => ({ status: 'ok', count: 0 }),
    calls: {
      read: (state, { celsius }, context) => {
        const status = statusOf(state.status, celsius)
        context.setAlarm('silent', { inMs: silentMs })
        context.rows.put(readingKey(state.count), { at: context.now(), celsius })
        if (state.count >= keptReadings) context.rows.delete(readingKey(state.count - keptReadings))
        // The notice is part of this turn: it is there if the reading is, and only then.
        if (status !== state.status)
          flow(context).add(notices, { device: context.id, status, celsius })
        return reply(status, { status, celsius, count: state.count + 1 })
      },
    },
    alarms: {
      silent: (state, _, context) => {
        flow(context).add(notices, { device: context.id, status: 'silent' })
        return noReply({ ...state, status: 'silent' })
      },
    },
    index: ({ status }) => ({ status }),
  }
  return entity('device', device)
}

export type Devices = ReturnType<typeof devicesOf>

/** The tree, and the kind of devices in it. */
export const plantOf = (notify: Notify, silentMs: number) => {
  const notices = noticesTo(notify)
  const devices = devicesOf(notices, silentMs)
  return { devices, tree: supervisor('app', {}, [flows({ queues: [notices] }), devices]) }
}

const bodyOf = async (request: IncomingMessage): Promise<{ id?: string; celsius?: unknown }> => {
  let text = ''
  for await (const chunk of request) text += chunk
  return JSON.parse(text)
}

const answerTo = async (app: App, devices: Devices, request: IncomingMessage) => {
  const name = decodeURIComponent((request.url ?? '').split('/')[2] ?? '')
  const kind = app.entity(devices)
  if (name === '') return Object.fromEntries(await kind.counts('status'))
  if (request.method === 'GET') return kind.state(name)
  const { id, celsius } = await bodyOf(request)
  if (typeof celsius !== 'number') throw new TypeError('celsius is a number')
  return call(kind.ref(name), 'read', { celsius }, id === undefined ? {} : { id })
}

/**
 * `POST /devices/NAME` answers when the reading is on the disk. With an `id` it counts once, so a
 * device sends it again until it is answered. `GET /devices` counts them by status.
 */
export const serverOf = (app: App, devices: Devices): Server =>
  createServer((request, response) => {
    answerTo(app, devices, request).then(
      (body) => response.end(`${JSON.stringify(body ?? null)}\n`),
      (error) =>
        response.writeHead(error instanceof TypeError ? 400 : 503).end(`${error.message}\n`),
    )
  })
