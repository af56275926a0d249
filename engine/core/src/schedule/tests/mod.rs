mod clocks;
mod documents;
mod due;
mod property;
