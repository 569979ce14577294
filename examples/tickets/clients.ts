/** The clients of the night: each places one order after another over HTTP, and repeats what is not answered. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Placed } from './order.ts'

/** So many seats has a show. */
const seatsOfShow = 60

/** The clients of the night, and what they know. */
export class Clients {
  readonly accepted = new Map<string, Placed>()
  /** No order is placed any more. */
  isOver = false
  /** Nothing is asked any more. */
  haveLeft = false
  longestMs = 0
  /** Where the shop is. */
  urls: readonly string[]
  readonly #random: () => number

  constructor(urls: readonly string[], random: () => number) {
    this.urls = urls
    this.#random = random
  }

  get #url(): string {
    return this.urls[Math.floor(this.#random() * this.urls.length)] as string
  }

  /**
   * One request, repeated until it is answered, also when the night is over: the shop may have taken
   * the order.
   */
  async #ask(path: string, body: unknown): Promise<number | undefined> {
    const began = performance.now()
    while (!this.haveLeft) {
      const status = await fetch(this.#url + path, { method: 'PUT', body: JSON.stringify(body) })
        .then(async (response) => {
          await response.text()
          return response.status
        })
        // The shop was killed: nobody knows what the request did.
        .catch(() => 503)
      if (status !== 503) {
        this.longestMs = Math.max(this.longestMs, performance.now() - began)
        return status
      }
      await pause(50)
    }
    return undefined
  }

  /** Places one order after another, for seats that stand side by side. */
  async shop(name: string, shows: number): Promise<void> {
    for (let at = 0; !this.isOver; at++) {
      const first = Math.floor(this.#random() * seatsOfShow)
      const count = 1 + Math.floor(this.#random() * 4)
      const seats = Array.from({ length: count }, (_, next) => `seat-${first + next}`)
      const placed = { show: `show-${Math.floor(this.#random() * shows)}`, seats }
      const status = await this.#ask(`/orders/${name}-${at}`, placed)
      if (status === 202) this.accepted.set(`${name}-${at}`, placed)
      await pause(200 + this.#random() * 800)
    }
  }

  /** What the shop shows, asked for again while the member that had the connection ends. */
  async look(path: string): Promise<unknown> {
    for (let tries = 100; ; tries--) {
      const response = await fetch(this.#url + path).catch((error) => {
        if (tries === 0) throw error
      })
      if (response && (response.status !== 503 || tries === 0)) return response.json()
      await pause(50)
    }
  }
}
