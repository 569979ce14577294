/** What `sys.trace` shows. Only types. */

/** One line of a trace. */
export interface TraceEvent {
  /** A message that came in, a reply that went out, or a step: what a state machine made of an event. */
  readonly direction: 'in' | 'out' | 'step'
  /** `call add`, `cast reset`, `reply` …; of a step the type of its event. */
  readonly what: string
  /** What the message carries; of a step `{ event, from, to }`, with state values. */
  readonly payload: unknown
}
