export type PolicyValue = string | number | boolean;
export type PolicyDefinition = ReadonlyMap<string, PolicyValue>;
