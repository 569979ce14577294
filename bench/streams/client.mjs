/** A client of the Durable Streams protocol, the same for every server. */
import { Agent, request } from 'node:http'

const json = { 'content-type': 'application/json' }

/** The streams of a server at a port. */
export class Client {
  #agent = new Agent({ keepAlive: true, maxSockets: 2_000 })
  #port

  constructor(port) {
    this.#port = port
  }

  /** Answers the response as it begins. */
  #asked(path, { method = 'GET', headers = {}, body } = {}) {
    return new Promise((resolve, reject) => {
      const where = { host: '127.0.0.1', port: this.#port, path: `/v1/stream/${path}` }
      const asked = request({ ...where, agent: this.#agent, method, headers }, resolve)
      asked.on('error', reject)
      asked.end(body)
    })
  }

  async #whole(path, options) {
    const response = await this.#asked(path, options)
    const pieces = []
    for await (const piece of response) pieces.push(piece)
    const body = Buffer.concat(pieces)
    if (response.statusCode >= 300) throw new Error(`${path}: ${response.statusCode} ${body}`)
    return { body, headers: response.headers }
  }

  create(name) {
    return this.#whole(name, { method: 'PUT', headers: json })
  }

  append(name, body) {
    return this.#whole(name, { method: 'POST', headers: json, body })
  }

  /** All messages from the beginning on: how many bytes and messages there are. */
  async catchUp(name) {
    let [offset, bytes, messages] = ['-1', 0, 0]
    for (;;) {
      const { body, headers } = await this.#whole(`${name}?offset=${offset}`)
      bytes += body.length
      messages += JSON.parse(body).length
      offset = headers['stream-next-offset']
      if (headers['stream-up-to-date']) return { bytes, messages }
    }
  }

  /** Follows a stream by server-sent events from its end on, until it is left. `onMessage` gets each message. */
  async follow(name, onMessage) {
    const response = await this.#asked(`${name}?offset=now&live=sse`)
    if (response.statusCode !== 200) throw new Error(`events: ${response.statusCode}`)
    let text = ''
    response.setEncoding('utf8')
    response.on('error', () => undefined)
    response.on('data', (piece) => {
      text += piece
      const events = text.split('\n\n')
      text = events.pop()
      for (const event of events) {
        if (!event.startsWith('event: data')) continue
        const data = event
          .split('\n')
          .filter((line) => line.startsWith('data:'))
          .map((line) => line.slice(5))
        for (const message of JSON.parse(data.join('\n'))) onMessage(message)
      }
    })
    return () => response.destroy()
  }

  close() {
    this.#agent.destroy()
  }
}
