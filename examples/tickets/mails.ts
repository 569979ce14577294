/** The mail provider, as orders see it, and its client over HTTP. */

export interface Mails {
  /** Sends a mail. Under one key it sends one, however often it is asked. */
  send(key: string, text: string): Promise<void>
}

/** A provider at `url`. Without an answer within `timeoutMs` it is unknown what it did. */
export const httpMails = (url: string, timeoutMs = 2_000): Mails => ({
  send: async (key, body) => {
    const response = await fetch(`${url}/mails/${encodeURIComponent(key)}`, {
      method: 'PUT',
      signal: AbortSignal.timeout(timeoutMs),
      body,
    })
    if (!response.ok) throw new Error(`the mail of ${key} was answered with ${response.status}`)
  },
})
