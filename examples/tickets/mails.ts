/** The mails of the shop: a queue in front of the provider, and its client over HTTP. */
import { queue } from 'keelson/flow'

/** The mail with the tickets of an order. */
export type Mail = { readonly order: string; readonly text: string }

/** Sends a mail. Under one order it sends one, however often it is asked. */
export type Send = (mail: Mail, signal: AbortSignal) => Promise<void>

/**
 * The mails: ten at once, each tried twenty times at most. An order may ask again for a mail that
 * was sent: within a day it is not added again.
 */
export const mailQueue = (send: Send, retryMs: number) =>
  queue('mails', (mail: Mail, { signal }) => send(mail, signal), {
    unique: '1d',
    timeout: '2s',
    retry: { max: 20, baseMs: retryMs },
  })

export type Mails = ReturnType<typeof mailQueue>

/** A provider at `url`. */
export const httpMails =
  (url: string): Send =>
  async ({ order, text }, signal) => {
    const path = `${url}/mails/${encodeURIComponent(order)}`
    const response = await fetch(path, { method: 'PUT', signal, body: text })
    if (!response.ok) throw new Error(`the mail of ${order} was answered with ${response.status}`)
  }
