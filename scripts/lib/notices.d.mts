export declare function notices(ids: readonly string[]): string;
