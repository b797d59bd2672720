//! Models that look at photos: folders of the project, which runs list in the registry of models.

use std::sync::Arc;

use futures::future::BoxFuture;
use smartsneaks_authenticate_image::PhotoModel;
use smartsneaks_lake::Transaction;

use super::Session;
use crate::error::{Error, Kind};
use crate::models;

impl Session {
    /// Lists the project's models for photos in `ml.models` of a run: those that are new or have changed. One whose files
    /// are wrong is left out with a warning: who asks it is told why.
    ///
    /// # Errors
    /// When the store fails.
    pub fn list_photo_models<'a>(
        &'a self,
        transaction: &'a mut Transaction,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let images = Arc::clone(self.engine.images());
            let found = tokio::task::spawn_blocking(move || images.photo_models());
            let found = found.await.map_err(|error| Error::new(Kind::Internal, error.to_string()))?;
            let mut good: Vec<PhotoModel> = Vec::with_capacity(found.len());
            for one in found {
                match one {
                    Ok(model) => good.push(model),
                    Err(error) => tracing::warn!("not listed in ml.models: {error}"),
                }
            }
            let state = self.planning(Arc::clone(transaction.base()))?.state()?;
            models::list_photo_models(self.engine.lake(), transaction, &state, &good).await
        })
    }
}
