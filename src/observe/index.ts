/** The page of `keelson observe`, and the protocol between it and its server. */
export type * from './protocol.ts'
