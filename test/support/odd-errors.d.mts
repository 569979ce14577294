/** Makes a thing that code may throw, anew each time. */
export declare const oddErrors: Readonly<Record<string, () => unknown>>
