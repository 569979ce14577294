/** The bank, as orders see it, and its client over HTTP. */

/** Both may be asked again under one key: that changes nothing. A rejection says nothing. */
export interface Bank {
  /** Takes the money. A key that was released is refused. */
  charge(key: string, cents: number, signal?: AbortSignal): Promise<void>
  /** Gives the money back, if it was taken, and refuses the key from then on. */
  release(key: string): Promise<void>
}

/** A bank at `url`. Without an answer within `timeoutMs` it is unknown what it did. */
export const httpBank = (url: string, timeoutMs = 2_000): Bank => {
  const ask = async (
    method: 'PUT' | 'DELETE',
    key: string,
    body?: string,
    signal?: AbortSignal,
  ): Promise<void> => {
    const timeout = AbortSignal.timeout(timeoutMs)
    const response = await fetch(`${url}/charges/${encodeURIComponent(key)}`, {
      method,
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      ...(body && { body }),
    })
    if (!response.ok) throw new Error(`the bank answered ${response.status} for ${key}`)
  }
  return {
    charge: (key, cents, signal) => ask('PUT', key, JSON.stringify({ cents }), signal),
    release: (key) => ask('DELETE', key),
  }
}
