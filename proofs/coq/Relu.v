(** The algebra of Xiong et al.'s Lemma 1: half of a symmetric variable's second moment is kept by
    ReLU, so E‖ReLU(X)‖² = σ² d/2 for d coordinates of variance σ².

    The density p is any continuous even function; that the Gaussian has variance σ² enters as the
    hypothesis on the integral of x² p. *)

From Coq Require Import Reals Lra Psatz Lia.
From Coquelicot Require Import Coquelicot.
From TFixup Require Import FiniteSums.
Open Scope R_scope.

Definition relu (x : R) : R := Rmax 0 x.

Lemma relu_pos : forall x, 0 <= x -> relu x = x.
Proof. intros. unfold relu. rewrite Rmax_right; lra. Qed.

Lemma relu_neg : forall x, x <= 0 -> relu x = 0.
Proof. intros. unfold relu. rewrite Rmax_left; lra. Qed.

(** Pointwise: ReLU(x)² + ReLU(−x)² = x². *)
Theorem relu_halves : forall x, relu x ^ 2 + relu (- x) ^ 2 = x ^ 2.
Proof.
  intros x. destruct (Rle_dec 0 x).
  - rewrite (relu_pos x), (relu_neg (- x)) by lra. ring.
  - rewrite (relu_neg x), (relu_pos (- x)) by lra. ring.
Qed.

Section Density.
Variable p : R -> R.
Hypothesis even : forall x, p (- x) = p x.
Hypothesis continuous_p : forall x : R, continuous p x.

Let square (x : R) : R := x ^ 2 * p x.
Let kept (x : R) : R := relu x ^ 2 * p x.

Lemma square_integrable : forall a b : R, ex_RInt square a b.
Proof.
  intros a b. apply (ex_RInt_continuous (V := R_CompleteNormedModule)). intros x _.
  apply (continuous_mult (fun x : R => x ^ 2) p); [|apply continuous_p].
  apply (ex_derive_continuous (V := R_NormedModule)). auto_derive. trivial.
Qed.

Lemma kept_right : forall a : R, 0 <= a -> is_RInt kept 0 a (RInt square 0 a).
Proof.
  intros a Ha. apply (is_RInt_ext square).
  - intros x Hx. rewrite Rmin_left, Rmax_right in Hx by assumption.
    unfold square, kept. rewrite relu_pos by lra. reflexivity.
  - apply (RInt_correct (V := R_CompleteNormedModule)), square_integrable.
Qed.

Lemma kept_left : forall a : R, 0 <= a -> is_RInt kept (- a) 0 0.
Proof.
  intros a Ha. apply (is_RInt_ext (fun _ => 0)).
  - intros x Hx. rewrite Rmin_left, Rmax_right in Hx by lra.
    unfold kept. rewrite relu_neg by lra. change (0 = 0 ^ 2 * p x). ring.
  - replace 0 with (scal (0 - - a) 0) at 2 by (unfold scal; simpl; unfold mult; simpl; ring).
    apply (is_RInt_const (V := R_NormedModule)).
Qed.

(** ∫ x² p over (−a, 0) is that over (0, a). *)
Lemma square_left : forall a : R, RInt square (- a) 0 = RInt square 0 a.
Proof.
  intros a. apply is_RInt_unique.
  assert (H : is_RInt square (- - a) (- 0) (opp (RInt square 0 a))).
  { rewrite Ropp_involutive, Ropp_0. apply (is_RInt_swap (V := R_NormedModule)).
    apply (RInt_correct (V := R_CompleteNormedModule)), square_integrable. }
  apply is_RInt_comp_opp, is_RInt_opp in H. rewrite opp_opp in H.
  apply (is_RInt_ext (fun x : R => opp (opp (square (- x))))); [|exact H].
  intros x _. rewrite opp_opp. unfold square. rewrite even.
  change ((- x) ^ 2 * p x = x ^ 2 * p x). ring.
Qed.

(** ∫ over (−a, a) of ReLU(x)² p is half of that of x² p, for every a. *)
Theorem relu_half_integral : forall a : R, 0 <= a ->
  is_RInt kept (- a) a (RInt square (- a) a / 2).
Proof.
  intros a Ha.
  assert (H : is_RInt kept (- a) a (plus 0 (RInt square 0 a))).
  { apply (is_RInt_Chasles (V := R_NormedModule) kept (- a) 0 a);
      [now apply kept_left | now apply kept_right]. }
  assert (E : RInt square (- a) a = RInt square 0 a + RInt square 0 a).
  { rewrite <- (RInt_Chasles (V := R_CompleteNormedModule) square (- a) 0 a)
      by apply square_integrable.
    now rewrite square_left. }
  change (plus 0 (RInt square 0 a)) with (0 + RInt square 0 a) in H.
  evar_last; [exact H|]. rewrite E. lra.
Qed.

(** In the limit: if x² p integrates to σ², d coordinates keep σ² d/2. *)
Theorem relu_second_moment : forall (sigma : R) (d : nat),
  is_lim (fun a => RInt square (- a) a) p_infty (sigma ^ 2) ->
  is_lim (fun a => total d (fun _ => RInt kept (- a) a)) p_infty (sigma ^ 2 * INR d / 2).
Proof.
  intros sigma d H.
  apply (is_lim_ext_loc (fun a => (INR d / 2) * RInt square (- a) a)).
  - exists 0. intros a Ha. rewrite total_const.
    rewrite (is_RInt_unique _ _ _ _ (relu_half_integral a (Rlt_le _ _ Ha))). field.
  - replace (Finite (sigma ^ 2 * INR d / 2)) with (Rbar_mult (INR d / 2) (sigma ^ 2))
      by (simpl; f_equal; field).
    now apply is_lim_scal_l.
Qed.
End Density.
